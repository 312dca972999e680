# SPDX-License-Identifier: LGPL-2.1-or-later
"""The stock tools beside ours: they judge our descriptions, and convert as `wherry convert` does.

WHERRY_REAL_STREAMS may name a folder of *.xlsave.zst, save files of real guests.
"""

import glob
import os
import shutil
import subprocess

import harness
import pytest
import stock

GOOD = harness.cases("good")
LEGACY = [name for name in GOOD if "legacy" in name]
FRAMED = [name for name in GOOD if "legacy" not in name]
REAL = sorted(glob.glob(os.path.join(os.environ.get("WHERRY_REAL_STREAMS") or "/nonexistent",
                                     "*.xlsave.zst")))

# Stock writes a PAGE_DATA record of no entries here, which its own restore refuses.
STOCK_CONVERTS_WRONGLY = {"legacy64-filler-batch"}


def part_named(stream, name):
    return next((part for part in stream.parts if part.name == name), None)


def old_stream(name, directory):
    """A legacy case as the stock converter can read it: its own test of an xl header never passes.

    Returns the file, the writer's width and the kind of guest.
    """
    stream = harness.description("good", name)
    says = part_named(stream, "legacy").says
    path = directory / "old"
    path.write_bytes(b"".join(part.data for part in stream.parts if part.name != "xl"))
    return path, says["width"], says["guest"]


def is_readable_whole(name, form):
    """The stock converter, asked for libxl, cannot do without QEMU's tail of an HVM guest."""
    stream = harness.description("good", name)
    hvm = part_named(stream, "legacy").says["guest"] == "hvm"
    return form == "libxc" or not hvm or part_named(stream, "qemu")


def wherry_convert(name, form, directory, width, guest):
    (directory / name).write_bytes(harness.description("good", name).data)
    result = harness.run("convert", "--width", str(width), "--guest", guest, "--to", form,
                         name, "ours", directory=directory)
    assert result.returncode == 0, result.stderr.decode()
    return (directory / "ours").read_bytes()


@pytest.mark.parametrize("name", FRAMED)
def test_the_stock_verifier_accepts_what_the_descriptions_build(tmp_path, name):
    data, form = stock.readable(harness.description("good", name))
    (tmp_path / "stream").write_bytes(data)
    assert stock.verify(tmp_path / "stream", form) == ""


CONVERSIONS = [(name, form) for name in LEGACY for form in ("libxl", "libxc")
               if name not in STOCK_CONVERTS_WRONGLY and is_readable_whole(name, form)]


@pytest.mark.parametrize("name, form", CONVERSIONS)
def test_convert_equals_the_stock_converter_byte_for_byte(tmp_path, name, form):
    source, width, guest = old_stream(name, tmp_path)
    # A libxc image has no place for QEMU's state: stock would let it follow raw.
    more = ["--skip-qemu"] if form == "libxc" else []
    assert stock.convert(source, tmp_path / "theirs", width, guest, "-f", form, *more) == ""
    ours = wherry_convert(name, form, tmp_path, width, guest)
    assert ours == (tmp_path / "theirs").read_bytes()


@pytest.mark.parametrize("name, form", CONVERSIONS)
def test_the_stock_verifier_accepts_the_stock_conversion_of_the_descriptions(tmp_path, name, form):
    """So that a wrong description does not pass by both converters carrying it along."""
    if part_named(harness.description("good", name), "toolstack"):
        form = "libxc"          # see stock.readable_parts about EMULATOR_XENSTORE_DATA
    source, width, guest = old_stream(name, tmp_path)
    more = ["--skip-qemu"] if form == "libxc" else []
    assert stock.convert(source, tmp_path / "theirs", width, guest, "-f", form, *more) == ""
    assert stock.verify(tmp_path / "theirs", form) == ""


@pytest.mark.parametrize("name", sorted(STOCK_CONVERTS_WRONGLY))
def test_a_batch_of_filler_only_becomes_no_record(tmp_path, name):
    _, width, guest = old_stream(name, tmp_path)
    ours = wherry_convert(name, "libxl", tmp_path, width, guest)
    (tmp_path / "ours.libxl").write_bytes(ours)
    assert stock.verify(tmp_path / "ours.libxl", "libxl") == ""


def inner_form(form, name):
    """What the verifier is to be asked for: it finds no xl header (see stock.readable_parts), and
    cannot follow the libxl records between two epochs."""
    stream = harness.description("good", name)
    followed = not part_named(stream, "CHECKPOINT")
    return "libxc" if form == "libxc" else "libxl" if followed else None


OURS = [(name, form) for name in FRAMED for form in ("libxc", "libxl", "xl")
        if inner_form(form, name)]


@pytest.mark.parametrize("name, form", OURS)
def test_what_our_writer_makes_of_a_good_stream_passes_the_stock_verifier(tmp_path, name, form):
    data, _ = stock.readable(harness.description("good", name))
    (tmp_path / "stream").write_bytes(data)
    result = harness.run("convert", "--to", form, "stream", "ours", directory=tmp_path)
    assert result.returncode == 0, result.stderr.decode()
    path = tmp_path / "ours"
    if form == "xl":
        path = without_xl_header(path)
    assert stock.verify(path, inner_form(form, name)) == ""


@pytest.fixture(scope="module", params=REAL, ids=[os.path.basename(path) for path in REAL])
def real(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("real") / "real"
    assert shutil.which("zstd"), "zstd is missing: install it (`make deps` does)"
    with open(path, "wb") as out:
        subprocess.run(["zstd", "-dcq", request.param], stdout=out, check=True)
    return path


def without_xl_header(path):
    """The file from its libxl header on, as a pipe's worth: the header says how much to skip."""
    target = path.with_name(path.name + ".libxl")
    with open(path, "rb") as file, open(target, "wb") as out:
        head = file.read(48)
        file.seek(int.from_bytes(head[44:48], "little"), os.SEEK_CUR)
        shutil.copyfileobj(file, out)
    return target


if REAL:        # without such files there is nothing to test, and nothing is reported
    def test_a_real_save_file_is_good_for_stock_and_for_us(real):
        assert stock.verify(without_xl_header(real), "libxl") == ""
        result = harness.run("verify", "real", directory=real.parent)
        assert (result.returncode, result.stdout.decode()) == (0, "real: good\n")
