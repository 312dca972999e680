#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Random valid descriptions: `generate.py SEED` prints one. Equal seeds give equal descriptions."""

import random
import sys

PV_TYPES = {8: "notab notab notab l1 l2 l3 l4 l1pin l2pin l3pin l4pin xtab xalloc broken".split(),
            4: "notab notab notab l1 l2 l3 l1pin l2pin l3pin xtab xalloc broken".split()}
HVM_TYPES = "notab notab notab xtab xalloc broken".split()
FILLS = ("zero", "ramp", "fill:0x5a", "random:3")
CONTEXT_SIZE = {8: 5168, 4: 2800}


class Draft:
    """The lines of one description, and the choices later lines depend on."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.lines = []
        self.guest = self.rng.choice(("pv", "hvm"))
        self.width = self.rng.choice((8, 4))
        self.container = self.rng.choice(("xl", "libxl", "libxc"))
        self.version = self.rng.choice((2, 3, 3))
        self.epochs = self.rng.choice((0, 0, 1, 2, 4))
        self.pfns = self.rng.choice((4, 100, 512, 513, 1024, 3000))
        self.vcpus = self.rng.randint(1, 3)

    def say(self, *lines):
        self.lines += lines

    def maybe(self, chance=0.5):
        return self.rng.random() < chance

    def text(self):
        return "\n".join(self.lines) + "\n"


def description(seed):
    draft = Draft(seed)
    (legacy_stream if draft.maybe(0.2) else framed_stream)(draft)
    return draft.text()


def framed_stream(draft):
    outer_headers(draft)
    draft.say(f"libxc version={draft.version}", f"domain type={draft.guest} xen={xen(draft)}")
    static_data(draft)
    for _ in range(draft.rng.randint(1, 4)):
        page_record(draft)
    if not draft.epochs and draft.maybe(0.2):
        draft.say("VERIFY")
        page_record(draft)
    tail(draft)
    for _ in range(draft.epochs):
        epoch(draft)
    draft.say("END")
    if draft.container != "libxc":
        if not draft.epochs:
            emulator(draft)
        draft.say("END")


def xen(draft):
    return "4.17" if draft.version == 3 else draft.rng.choice(("4.6", "4.13"))


def outer_headers(draft):
    if draft.container == "xl":
        xl_header(draft, 3)
    if draft.container != "libxc":
        draft.say(f"libxl options={draft.rng.choice((0, 0, 2))}", "LIBXC_CONTEXT")


def xl_header(draft, flags):
    name = f"guest-{draft.rng.randint(0, 999)}"
    if draft.maybe(0.1):
        draft.say(f"xl flags={flags}")
    else:
        extra = "extra=ramp:5 " if draft.maybe(0.2) else ""
        draft.say(f'xl flags={flags} {extra}config={{"c_info": {{"type": "{draft.guest}", '
                  f'"name": "{name}"}}, "b_info": {{"type.{draft.guest}": {{}}}}}}')


def static_data(draft):
    records = []
    if draft.guest == "pv":
        records.append(f"X86_PV_INFO width={draft.width} levels={4 if draft.width == 8 else 3}")
    if draft.version == 3 and draft.maybe(0.8):
        records.append(f"X86_CPUID_POLICY leaves={draft.rng.randint(1, 9)}")
        records.append("X86_MSR_POLICY 0xce=0x80000000" + " 0x10a=0" * draft.rng.randint(0, 1))
    draft.say(*records)
    if draft.version == 3:
        draft.say("STATIC_DATA_END")
    if draft.guest == "pv":
        frames = (draft.pfns - 1) * draft.width // 4096 + 1
        pfns = ",".join(str(draft.rng.randrange(draft.pfns)) for _ in range(frames))
        draft.say(f"X86_PV_P2M_FRAMES start=0 end={draft.pfns - 1} pfns={pfns}")


def page_record(draft):
    if not draft.epochs and draft.maybe(0.1):
        number = 0x80000000 + draft.rng.randint(0x100, 0x103)
        draft.say(f"record {number:#x} ramp:{draft.rng.randint(0, 20)}")
    draft.say("PAGE_DATA " + " ".join(page_entries(draft, True)))


def page_entries(draft, repeats):
    types = PV_TYPES[draft.width] if draft.guest == "pv" else HVM_TYPES
    count = draft.rng.randint(1, 4)
    pfns = (draft.rng.choices if repeats else draft.rng.sample)(range(draft.pfns), k=count)
    entries = [entry(draft, pfn, draft.rng.choice(types)) for pfn in pfns]
    if repeats and draft.maybe(0.2):
        first = draft.rng.randrange(draft.pfns)
        entries.append(f"{first}-{min(first + 200, draft.pfns - 1)}:xtab")
    return entries


def entry(draft, pfn, kind):
    return f"{pfn}={draft.rng.choice(FILLS)}" if kind == "notab" else f"{pfn}:{kind}"


def tail(draft):
    draft.say(f"X86_TSC_INFO mode={draft.rng.randint(0, 3)} nsec={draft.rng.getrandbits(60)}")
    if draft.guest == "pv":
        draft.say("SHARED_INFO ramp:4096")
        for vcpu in range(draft.vcpus):
            vcpu_records(draft, vcpu)
        return
    both = [f"HVM_CONTEXT {hvm_chain(draft)}",
            f"HVM_PARAMS 1=0xfeffc 17={draft.rng.getrandbits(40)}"]
    draft.say(*(both if draft.maybe() else reversed(both)))


def vcpu_records(draft, vcpu):
    draft.say(f"X86_PV_VCPU_BASIC vcpu={vcpu} zero:{CONTEXT_SIZE[draft.width]}",
              f"X86_PV_VCPU_EXTENDED vcpu={vcpu} le32:{vcpu} le32:64 zero:56")
    if draft.maybe():
        size = draft.rng.choice((832, 576, 839))
        draft.say(f"X86_PV_VCPU_XSAVE vcpu={vcpu} le64:7 le64:7 zero:{size}")
    if draft.maybe(0.3):
        draft.say(f"X86_PV_VCPU_MSRS vcpu={vcpu} le32:0xc0000103 zero:4 le64:{vcpu}")


def hvm_chain(draft):
    cpus = " ".join(f"2.{vcpu}" for vcpu in range(draft.vcpus))
    return f"1 {cpus} 7 8 9 {'3 3.1 10 ' if draft.maybe() else ''}0"


def emulator(draft):
    if draft.guest == "pv" or draft.maybe(0.2):
        return
    if draft.maybe(0.3):
        draft.say("EMULATOR_XENSTORE_DATA id=2 physmap/f0/size=10 physmap/f0/name=rom")
    draft.say(f"EMULATOR_CONTEXT id=2 text:QEVM be32:3 ramp:{draft.rng.randint(0, 300)}")


def epoch(draft):
    """From the CHECKPOINT that closes one state to the state after it, if pages come."""
    draft.say("CHECKPOINT")
    if draft.container != "libxc":
        emulator(draft)
        draft.say("CHECKPOINT_END")
    if draft.maybe(0.7):
        page_record(draft)
        tail(draft)


def legacy_stream(draft):
    bits = draft.rng.choice((32, 64))
    draft.width = 8 if bits == 64 else draft.width
    if draft.container == "xl":
        xl_header(draft, 1)
    draft.say(f"legacy width={bits} guest={draft.guest} p2m_size={draft.pfns}")
    if draft.guest == "pv":
        frames = (draft.pfns - 1) * draft.width // 4096 + 1
        draft.say(f"extended-info vcpu={CONTEXT_SIZE[draft.width]}", f"p2m pfns=0-{frames - 1}")
    legacy_body(draft)
    if draft.guest == "pv":
        contexts = [f"vcpu zero:{CONTEXT_SIZE[draft.width]}"] * draft.vcpus
        draft.say("unmapped", *contexts, "shared-info")
        return
    draft.say("magic-pfns ioreq=1 bufioreq=2 store=3", f"hvm-context {hvm_chain(draft)}")
    if draft.container == "xl" or draft.maybe():
        draft.say("qemu text:QEVM be32:3 ramp:20")


def legacy_body(draft):
    draft.say(f"vcpu-info max_id={draft.vcpus - 1} online=0-{draft.vcpus - 1}")
    for _ in range(draft.rng.randint(1, 4)):
        entries = [entry for entry in page_entries(draft, False) if entry != "0:xtab"]
        fillers = ["0:xtab"] * draft.rng.randint(0, 2)
        draft.say("batch " + " ".join((entries or ["1:xtab"]) + fillers))
    if draft.guest == "hvm" and draft.maybe():
        draft.say("param ident_pt=0xfeffe000 console_pfn=0xfefff")
    if draft.maybe():
        draft.say("tsc mode=1")
    draft.say("end-of-body")


if __name__ == "__main__":
    print(description(int(sys.argv[1])), end="")
