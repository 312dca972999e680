# SPDX-License-Identifier: LGPL-2.1-or-later
"""The builder and the oracle themselves, on bytes small enough to be written out here."""

import oracle
import pytest
import stream
from fields import DescriptionError


def built(text):
    return stream.Stream().read(text)


def test_a_record_is_framed_and_padded_to_eight_bytes():
    made = built("libxc\nrecord 0x13 le32:1 hex:ff\n")
    assert made.data[24:] == bytes.fromhex("13000000 05000000 01000000 ff000000")


def test_a_record_may_lie_about_its_length_and_padding():
    made = built("libxc\nrecord 1 len=9 type=2 pad=aa text:x\n")
    assert made.data[24:] == bytes.fromhex("02000000 09000000 78 aa")


def test_end_belongs_to_the_layer_the_stream_is_in():
    made = built("libxl\nLIBXC_CONTEXT\nlibxc\nCHECKPOINT\nCHECKPOINT_END\nEND\nEND\n")
    assert [part.layer for part in made.parts[3:]] == ["libxc", "libxl", "libxc", "libxl"]


def test_page_entries_carry_contents_only_where_their_type_has_any():
    made = built("libxc\nPAGE_DATA 0 1-2:xtab 3:l1pin\n")
    assert len(made.data) - 24 == 8 + 8 + 4 * 8 + 2 * 4096


def test_a_config_runs_to_the_end_of_its_line_and_gets_its_nul():
    made = built('xl flags=3 config={"a b": "#c"}\n')
    assert made.data[44:] == b"\x12\0\0\0" + b"\x0e\0\0\0" + b'{"a b": "#c"}\0'


def test_a_part_can_be_dropped_replaced_and_written_over():
    made = built("libxc\nEND\nVERIFY\nCHECKPOINT\n"
                 "drop END\nreplace VERIFY\nrecord 5\npoke libxc hex:00\n")
    assert made.data[0] == 0
    assert [part.name for part in made.parts] == ["libxc", "0x00000005", "CHECKPOINT"]


def test_the_second_part_of_a_name_can_be_told_from_the_first():
    made = built("libxl\nLIBXC_CONTEXT\nlibxc\nEND\nEND\nbefore END#2  # libxl's\nCHECKPOINT_END\n")
    assert [part.name for part in made.parts[3:]] == ["END", "CHECKPOINT_END", "END"]


def test_a_record_that_is_cut_counts_for_nothing():
    made = built("libxc\ndomain\nPAGE_DATA 0:xtab\nPAGE_DATA 1:xtab\nEND\ncut PAGE_DATA#2+23\n")
    found = oracle.expect(made)
    assert found["records"] == [{"layer": "libxc", "type": "PAGE_DATA", "count": 1, "bytes": 16}]
    assert (found["complete"], found["pages"]["entries"], found["size"]) == (False, 1, 40 + 24 + 23)


def test_the_oracle_tells_how_an_inspection_differs():
    expected = oracle.expect(built("libxc\ndomain\nEND\n"))
    found = {**expected, "epochs": 1, "pages": {**expected["pages"], "data": 2}}
    assert oracle.disagreements(expected, expected) == []
    assert oracle.disagreements(expected, found) == ["pages.data: expected 0, found 2",
                                                     "epochs: expected 0, found 1"]


@pytest.mark.parametrize("text", ["record 1", "libxc\nNO_SUCH 1", "libxc\nEND hex", "drop END"])
def test_a_wrong_description_is_refused(text):
    with pytest.raises(DescriptionError):
        built(text)
