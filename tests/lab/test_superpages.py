# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest's memory is mapped in pieces of 2 MiB after a restore too, by Xen's own page tables."""

import pytest

from saving import IMAGE, goes_on, last_line
from tables import mapped

MEMORY = 64


@pytest.mark.parametrize("kind", ["stepper-pvh", "stepper-hvm"])
def test_a_restored_guest_has_the_superpages_it_was_made_with(lab, kind):
    host, = lab.hosts(1)
    guest = host.guest(kind, memory=MEMORY)
    guest.wait_for(r"^step \d+ ok", timeout=200)
    made = mapped(host, guest.domid)
    assert made["2M"] > MEMORY // 2 * 3 // 4, made      # or there is nothing to be lost
    host.xl("save", guest.name, IMAGE)
    host.wherry("restore", IMAGE)
    ours = mapped(host, guest.domid)
    goes_on(guest, "1 new")
    guest.destroy()
    host.run(["truncate", "-s", "0", f"/var/log/xen/console/guest-{guest.name}.log"])
    host.xl("restore", IMAGE)
    stock = mapped(host, guest.domid)
    goes_on(guest, "1 new")
    host.run(["rm", IMAGE])
    print(f"{kind}, {MEMORY} MiB: made by xl {made}, restored by wherry {ours}, by xl {stock}")
    assert ours["2M"] >= made["2M"] - 1, (made, ours)
    assert ours["4K"] <= made["4K"] + 512, (made, ours)
    assert stock["2M"] < ours["2M"], (stock, ours)


def test_a_guest_of_more_than_a_gib_has_its_gib_in_one_piece_again(lab):
    host, = lab.hosts(1, memory="8G")
    guest = host.guest("stepper-pvh", memory=1088, command_line="rate=1000 pages=3000")
    guest.wait_for(r"^step \d+ ok", timeout=200)
    made = mapped(host, guest.domid)
    assert made["1G"] == 1, made
    host.refresh()
    host.run(f"wherry save {guest.name} - | zstd -q -1 >{IMAGE}", timeout=300)
    said = last_line(host.run(f"zstd -dcq {IMAGE} | wherry restore --json -", timeout=300))
    ours = mapped(host, guest.domid)
    goes_on(guest, "1 new")
    host.run(["rm", IMAGE])
    print(f"PVH, 1088 MiB: made by xl {made}, restored by wherry {ours}")
    assert ours["1G"] == said["gigapages"] == 1 and ours["2M"] >= made["2M"] - 1, (made, ours, said)
