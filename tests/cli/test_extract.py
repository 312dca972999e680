# SPDX-License-Identifier: LGPL-2.1-or-later
"""One thing out of an image: the configuration, the emulator's state, a page, a core."""

import json
import re
import subprocess

import harness
import pytest
from commands import BAD, OK, USAGE, build, good, listing, must, put, run
from fields import has_data, page, page_entries

NAMES = harness.cases("good")
CONFIGS = {name: part.says["config"].rstrip(b"\0") for name in NAMES
           for part in harness.description("good", name).parts
           if part.name == "xl" and part.says["config"]}

# Two epochs that both have vcpus and an emulator's state, and a third that is not finished.
HVM_LIVE = """
libxl
LIBXC_CONTEXT
libxc
domain type=hvm
STATIC_DATA_END
PAGE_DATA 0 1=fill:1 2=fill:2 3:xtab 4=fill:4 5:xalloc
PAGE_DATA 1=fill:0x11 2=fill:0x12
PAGE_DATA 2=fill:0x22 2=fill:0x23 4:xtab
HVM_CONTEXT 1 2 0
HVM_PARAMS
END
END
"""

PAGES = {0: bytes(i & 0xFF for i in range(4096)), 1: b"\x11" * 4096, 2: b"\x23" * 4096,
         4: b"\x04" * 4096}


# -------------------------------------------------------------------------- the configuration

@pytest.mark.parametrize("name", CONFIGS)
def test_the_configuration_comes_out_as_it_is_stored(tmp_path, name):
    put(tmp_path, "image", good(name))
    assert must("extract", "--config", "image", directory=tmp_path) == CONFIGS[name]
    assert must("extract", "--config", "-", directory=tmp_path, stdin=good(name)) == CONFIGS[name]
    must("extract", "--config", "--output", "file", "image", directory=tmp_path)
    assert (tmp_path / "file").read_bytes() == CONFIGS[name]


@pytest.mark.parametrize("name", ["pv64", "hvm", "xl-utf8-config"])
def test_the_configuration_is_the_one_that_inspect_tells(tmp_path, name):
    put(tmp_path, "image", good(name))
    told = json.loads(must("inspect", "--json", "image", directory=tmp_path))
    text = must("extract", "--config", "image", directory=tmp_path)
    assert json.loads(text) == told["xl"]["config"]


def test_the_configuration_of_a_file_that_was_cut_behind_it_can_be_had(tmp_path):
    put(tmp_path, "cut", good("pv64")[:500])
    assert must("extract", "--config", "cut", directory=tmp_path) == CONFIGS["pv64"]


# ------------------------------------------------------------------------ the emulator's state

def emulators(name):
    """The states that the builder put in, without the record's head of id and index."""
    return [part.data[16:8 + part.body_length] for part in harness.description("good", name).parts
            if part.name == "EMULATOR_CONTEXT"]


@pytest.mark.parametrize("name", [name for name in NAMES if emulators(name)])
def test_the_last_state_of_the_emulator_comes_out(tmp_path, name):
    put(tmp_path, "image", good(name))
    must("extract", "--emulator", "state", "image", directory=tmp_path)
    assert (tmp_path / "state").read_bytes() == emulators(name)[-1]
    must("extract", "--emulator", "state", "-", directory=tmp_path, stdin=good(name))
    assert (tmp_path / "state").read_bytes() == emulators(name)[-1]


def test_there_are_cases_of_several_states_that_differ_in_length():
    assert len({len(state) for state in emulators("hvm-remus")}) > 1
    assert len(emulators("hvm-remus")[-1]) < len(emulators("hvm-remus")[0])


def test_one_state_can_go_to_standard_output_several_cannot(tmp_path):
    put(tmp_path, "one", good("hvm"))
    put(tmp_path, "more", good("hvm-remus"))
    assert must("extract", "--emulator", "-", "one", directory=tmp_path) == emulators("hvm")[0]
    result = run("extract", "--emulator", "-", "more", directory=tmp_path)
    assert result.returncode == USAGE and b"several" in result.stderr


@pytest.mark.parametrize("name", [n for n in NAMES if "legacy" in n and
                                  "qemu" in {p.name for p in harness.description("good", n).parts}])
def test_the_state_in_a_legacy_image_comes_out(tmp_path, name):
    qemu = next(p for p in harness.description("good", name).parts if p.name == "qemu")
    put(tmp_path, "image", good(name))
    must("extract", "--emulator", "state", "image", directory=tmp_path)
    assert (tmp_path / "state").read_bytes() == qemu.data[25:]


# --------------------------------------------------------------------------------------- pages

@pytest.fixture(params=["scan", "index", "pipe"])
def live(request, tmp_path):
    """How to name a live image, of which pages are found in one of three ways; and its input."""
    data = build(HVM_LIVE)
    put(tmp_path, "image", data)
    if request.param == "index":
        put(tmp_path, "config", b"{}")
        must("convert", "--to", "xl", "--config", "config", "image", "image", directory=tmp_path)
    named = json.loads(must("inspect", "--json", "--page", "1", "image", directory=tmp_path))
    assert named["indexed"] is (request.param == "index")
    piped = request.param == "pipe"

    def extract(*arguments):
        return run(*arguments, "-" if piped else "image", directory=tmp_path,
                   stdin=data if piped else b"")
    return extract


@pytest.mark.parametrize("pfn", PAGES)
def test_a_page_comes_out_as_it_was_sent_last(live, pfn):
    for form in (str(pfn), hex(pfn)):
        result = live("extract", "--page", form)
        assert (result.returncode, result.stderr) == (OK, b"")
        assert result.stdout == PAGES[pfn]


@pytest.mark.parametrize("pfn, why", [(3, b"it is xtab"), (5, b"it is xalloc"), (9, b"not named")])
def test_a_page_without_contents_is_2_and_says_what_it_is(live, pfn, why):
    result = live("extract", "--page", str(pfn))
    assert (result.returncode, result.stdout) == (USAGE, b"")
    assert why in result.stderr


@pytest.mark.parametrize("name", ["pv64-live", "pv64-page-tables", "pv64-big-batch", "hvm-holes",
                                  "hvm-remus", "pv64-verify", "legacy64-pv64", "pv32",
                                  "pvh-libxc-checkpoints", "legacy32-hvm"])
def test_each_page_of_an_image_is_what_the_description_says(tmp_path, name):
    """By scan and, if it has one, by index; pages behind VERIFY are only to be compared."""
    put(tmp_path, "image", good(name))
    must("convert", "--to", "xl", "image", "trailed", directory=tmp_path)
    for pfn, contents in list(last_contents(name).items())[:20]:
        for image in ("image", "trailed"):
            assert must("extract", "--page", str(pfn), image, directory=tmp_path) == contents


def last_contents(name):
    """{pfn: contents} from the bytes of the parts; at VERIFY copying ends."""
    found = {}
    for part in harness.description("good", name).parts:
        if part.name == "VERIFY":
            break
        at = len(part.data) - 4096 * sum(has_data(kind) for _, kind in part.pages)
        for pfn, kind in part.pages:
            if has_data(kind):
                found[pfn] = part.data[at:at + 4096]
                at += 4096
    return found


def test_the_oracle_of_pages_agrees_with_the_words_of_a_description():
    entries = page_entries("0=zero 1=ramp 2=fill:0x41 3=text:start_info".split())
    assert last_contents("pv64") == {pfn: contents for pfn, _, contents in entries}
    assert last_contents("pv64-live")[2] == page("fill:7", 2, 0)


def test_an_old_file_is_kept_when_there_is_no_page(tmp_path):
    put(tmp_path, "image", build(HVM_LIVE))
    put(tmp_path, "old", b"old")
    result = run("extract", "--page", "3", "-o", "old", "image", directory=tmp_path)
    assert result.returncode == USAGE
    assert (tmp_path / "old").read_bytes() == b"old"
    assert listing(tmp_path) == ["image", "old"]


def test_an_index_that_points_elsewhere_is_an_error_not_a_wrong_page(tmp_path):
    put(tmp_path, "in", good("pv64-live"))
    must("convert", "in", "image", directory=tmp_path)
    whole = bytearray((tmp_path / "image").read_bytes())
    record = bytes.fromhex("03000000 80000000")         # PAGE_INDEX of four entries
    assert whole.count(record) == 1
    whole[whole.index(record) + 8] ^= 0x10
    put(tmp_path, "image", whole)                       # its own digest is wrong: not used
    result = run("inspect", "--json", "--page", "2", "image", directory=tmp_path)
    assert result.returncode == BAD or not json.loads(result.stdout)["indexed"]


# ---------------------------------------------------------------------------------------- core

PV_VCPU = 520 + 8 * 16          # rip in vcpu_guest_context: user_regs at 520, the 17th
HVM_CPU_RIP = 512 + 8 * 16      # in hvm_hw_cpu


def pv_context(rip, rsp):
    """A vcpu_guest_context of which rip, cs, rflags, rsp are told."""
    return (f"zero:{PV_VCPU} le64:{rip} le64:0x1e033 le64:0x246 le64:{rsp} "
            f"zero:{5168 - PV_VCPU - 32}")


PV_CORE = f"""
include pv64
replace X86_PV_P2M_FRAMES
X86_PV_P2M_FRAMES start=0 end=99 pfns=1
replace PAGE_DATA
PAGE_DATA 0 1=fill:0xab 2=random:9 3:xalloc 4:xtab 90=text:far 91=zero
PAGE_DATA 2=random:10
drop X86_PV_VCPU_BASIC
drop X86_PV_VCPU_EXTENDED
drop X86_PV_VCPU_XSAVE
before END
X86_PV_VCPU_BASIC vcpu=0 {pv_context(0xffffffff81001234, 0xffffc90000003e30)}
X86_PV_VCPU_BASIC vcpu=1 {pv_context(0x401000, 0x7ffe1000)}
"""


def hvm_cpu(instance, rip, rsp):
    """HVM save entry 2 of 1032 bytes: rsp is the eighth register behind the FPU's, rip the 17th."""
    return (f"le16:2 le16:{instance} le32:1032 zero:{512 + 56} le64:{rsp} zero:64 le64:{rip} "
            f"le64:0x202 zero:{1032 - 512 - 18 * 8}")


HVM_CORE = f"""
include hvm
replace HVM_CONTEXT
HVM_CONTEXT 1 {hvm_cpu(0, 0xfff0, 0x6f94)} {hvm_cpu(1, 0x1234, 0x99)} 18 0
"""


def gdb(directory, *commands):
    words = [word for command in commands for word in ("-ex", command)]
    result = subprocess.run(["gdb", "-nx", "-batch", *words, "-c", "core"], cwd=directory,
                            capture_output=True, timeout=120, check=False)
    return result.stdout.decode()


def segments(directory):
    """(physical address, bytes) of each PT_LOAD; the virtual address has to be the same."""
    text = subprocess.run(["readelf", "-lW", "core"], cwd=directory, capture_output=True,
                          check=True).stdout.decode()
    found = []
    for line in re.findall(r"^  LOAD .*", text, re.MULTILINE):
        offset, virtual, physical, in_file, in_memory = (int(n, 16) for n in line.split()[1:6])
        assert virtual == physical and in_file == in_memory and offset == physical + 4096
        found.append((physical, in_memory))
    return found


@pytest.fixture
def core(tmp_path):
    def make(text, name="core"):
        put(tmp_path, "image", build(text))
        must("extract", "--core", name, "image", directory=tmp_path)
        return tmp_path
    return make


def test_a_core_has_a_segment_for_each_run_of_pages(core):
    assert segments(core(PV_CORE)) == [(0, 4 * 4096), (90 * 4096, 2 * 4096)]
    assert segments(core(HVM_CORE)) == [(0, 3 * 4096), (0xf0000000, 4096), (0xfeffc000, 4096),
                                        (0xfefff000, 4096)]


def test_readelf_finds_no_fault_in_a_core(core):
    result = subprocess.run(["readelf", "-aW", "core"], cwd=core(PV_CORE), capture_output=True,
                            check=True)
    assert result.stderr == b""
    assert result.stdout.count(b"NT_PRSTATUS") == 2


def test_gdb_reads_the_guests_memory_from_a_core(core):
    said = gdb(core(PV_CORE), "x/4xb 0x1000", "x/4xb 0x1ffc", "x/s 90*4096", "x/2xb 3*4096",
               "x/4xb 0x2000", "x/xb 4*4096")
    assert "0x1000:\t0xab\t0xab\t0xab\t0xab" in said
    latest = page("random:10", 2, 0)
    assert "0x1ffc:\t0xab" in said
    assert '"far"' in said
    assert "0x3000:\t0x00\t0x00" in said
    assert "0x2000:\t" + "\t".join(f"{byte:#04x}" for byte in latest[:4]) in said
    assert not re.search("0x4000:\t0x", said)       # a hole


def test_the_registers_of_a_pv_guest_are_in_its_core(core):
    where = core(PV_CORE)
    said = gdb(where, "info registers rip rsp cs eflags", "thread 2", "info registers rip")
    assert re.search(r"^rip +0xffffffff81001234\b", said, re.MULTILINE)
    assert re.search(r"^rsp +0xffffc90000003e30\b", said, re.MULTILINE)
    assert re.search(r"^cs +0xe033\b", said, re.MULTILINE)
    assert re.search(r"^eflags +0x246\b", said, re.MULTILINE)
    assert re.search(r"^rip +0x401000\b", said, re.MULTILINE)


def test_the_registers_of_an_hvm_guest_are_in_its_core(core):
    said = gdb(core(HVM_CORE), "info registers rip rsp eflags", "thread 2", "info registers rip")
    assert re.search(r"^rip +0xfff0\b", said, re.MULTILINE)
    assert re.search(r"^rsp +0x6f94\b", said, re.MULTILINE)
    assert re.search(r"^eflags +0x202\b", said, re.MULTILINE)
    assert re.search(r"^rip +0x1234\b", said, re.MULTILINE)


def test_pages_behind_verify_are_not_taken(core):
    """A guest that ran on would have them differ."""
    verify = "VERIFY\nPAGE_DATA 1=fill:0x77 3=fill:0x77\n"
    where = core(HVM_LIVE.replace("HVM_CONTEXT", verify + "HVM_CONTEXT"))
    put(where, "config", b"{}")
    must("convert", "--to", "xl", "--config", "config", "image", "trailed", directory=where)
    for image in ("image", "trailed"):
        assert must("extract", "--page", "1", image, directory=where) == PAGES[1]
        assert run("extract", "--page", "3", image, directory=where).returncode == USAGE
    data = (where / "core").read_bytes()
    assert data[2 * 4096:3 * 4096] == PAGES[1]
    assert segments(where) == [(0, 3 * 4096), (4 * 4096, 2 * 4096)]


@pytest.mark.parametrize("name", ["pv32", "legacy64-hvm", "legacy64-pv64", "hvm-remus", "hvm-live",
                                  "pvh-libxc", "pv64-verify"])
def test_the_core_of_any_image_opens_and_has_its_pages(tmp_path, name):
    put(tmp_path, "image", good(name))
    must("extract", "--core", "core", "image", directory=tmp_path)
    is_small = name in ("pv32", "legacy64-pv64", "pv64-verify")
    whole = (tmp_path / "core").read_bytes() if is_small else b""
    said = gdb(tmp_path, *(f"x/8xb {pfn * 4096}" for pfn in last_contents(name)))
    for pfn, contents in last_contents(name).items():
        assert f"{pfn * 4096:#x}:\t" + "\t".join(f"{b:#04x}" for b in contents[:8]) in said
        assert not whole or whole[(pfn + 1) * 4096:(pfn + 2) * 4096] == contents


def test_a_core_from_a_pipe_is_the_same(core):
    where = core(PV_CORE)
    must("extract", "--core", "piped", "-", directory=where, stdin=build(PV_CORE))
    assert (where / "piped").read_bytes() == (where / "core").read_bytes()


def test_holes_and_zero_pages_take_no_space(core):
    """512 pages of zeros, a hole of a gigabyte, one page of data, and a page that became zero."""
    where = core(HVM_LIVE.replace("PAGE_DATA 0 1=fill:1", "PAGE_DATA 6-517=zero 0x40000=fill:1 "
                                  "0x40001=zero 0 1=fill:1"))
    info = (where / "core").stat()
    assert info.st_size > 1 << 30
    assert info.st_blocks * 512 < 128 << 10
    assert (0x40000000, 2 * 4096) in segments(where)
    assert "0x6000:\t0x00\t0x00" in gdb(where, "x/2xb 0x6000")


def test_a_page_that_became_zero_is_zero_in_the_core(core):
    where = core(HVM_LIVE.replace("2=fill:0x22 2=fill:0x23", "2=zero 1=fill:9 1=zero"))
    data = (where / "core").read_bytes()
    assert data[2 * 4096:4 * 4096] == bytes(2 * 4096)


def test_many_segments_are_told_as_elf_tells_them(tmp_path):
    """From 65535 segments on their number stands in a section header."""
    count = 66000
    records = "\n".join("PAGE_DATA " + " ".join(f"{2 * pfn}:xalloc" for pfn in
                                                range(at, min(at + 1000, count)))
                        for at in range(0, count, 1000))
    put(tmp_path, "image", build(HVM_LIVE.replace("HVM_CONTEXT", records + "\nHVM_CONTEXT")))
    must("extract", "--core", "core", "image", directory=tmp_path)
    assert len(segments(tmp_path)) == count - 2     # pages 0 to 2 and 4 to 5 are there anyway


def test_a_core_to_standard_output_is_refused(tmp_path):
    put(tmp_path, "image", good("hvm"))
    result = run("extract", "--core", "-", "image", directory=tmp_path)
    assert (result.returncode, result.stdout) == (USAGE, b"")
    assert b"sparse" in result.stderr
    assert listing(tmp_path) == ["image"]


@pytest.mark.parametrize("asked", [["--core", "out"], ["--emulator", "out"],
                                   ["--page", "1", "--output", "out"]])
def test_a_bad_image_gives_nothing_and_leaves_an_old_file(tmp_path, asked):
    put(tmp_path, "image", good("hvm")[:-1])
    put(tmp_path, "out", b"old")
    result = run("extract", *asked, "image", directory=tmp_path)
    assert (result.returncode, result.stdout) == (BAD, b"")
    assert (tmp_path / "out").read_bytes() == b"old"
    assert listing(tmp_path) == ["image", "out"]
