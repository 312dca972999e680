# SPDX-License-Identifier: LGPL-2.1-or-later
"""The order of the layers holds in src/, and the check of it sees what is against it."""

import pathlib

import layers
import pytest

SRC = pathlib.Path(__file__).resolve().parent.parent.parent / "src"

WRONG = {
    "an include of a layer above": ("base/a.c", '#include "wire/walk.h"\n'),
    "an include of the layer above": ("config/a.h", '#include "flow/input.h"\n'),
    "an include by bare name": ("wire/a.c", '#include "walk.h"\n'),
    "an include past the folders": ("wire/a.c", '#include "../base/op.h"\n'),
    "JSON below its layer": ("wire/a.c", "#include <json-c/json.h>\n"),
    "tables for terminals below the command": ("flow/a.c", "#include <libsmartcols/x.h>\n"),
    "printing": ("flow/a.c", 'void a(void)\n{\n    printf("x");\n}\n'),
    "printing to a stream": ("base/a.c", 'void a(FILE *f)\n{\n    fprintf(f, "x");\n}\n'),
    "perror": ("base/a.c", 'void a(void)\n{\n    perror("x");\n}\n'),
    "standard error": ("wire/a.c", "void *p = stderr;\n"),
    "a file of 801 lines": ("cli/a.c", "\n" * 801),
}
RIGHT = {
    "includes of layers below": ("flow/a.c", '#include "base/op.h"\n#include "base/json.h"\n'
                                             "#include <json-c/json.h>\n#include <stdio.h>\n"),
    "the public header": ("base/a.h", '#include "wherry.h"\n'),
    "text that speaks of printing": ("wire/a.c", '/* printf(x) */ char *a = "printf(stderr)";\n'),
    "printing into memory": ("wire/a.c", 'void a(char *p)\n{\n    snprintf(p, 1, "x");\n}\n'),
    "printing by the command": ("cli/a.c", 'void a(void)\n{\n    fputs("x", stderr);\n}\n'),
    "standard output as a place to write to": ("base/a.c", "int fd = STDOUT_FILENO;\n"),
    "a file of 800 lines": ("cli/a.c", "\n" * 800),
}


def lines(tmp_path, capsys, name, text):
    path = tmp_path / name
    path.parent.mkdir()
    path.write_text(text, encoding="utf-8")
    status = layers.main(tmp_path)
    printed = capsys.readouterr().out.splitlines()
    assert status == (1 if printed else 0)
    return printed


def test_src_keeps_the_order_of_its_layers(capsys):
    assert layers.main(SRC) == 0, capsys.readouterr().out


@pytest.mark.parametrize("what", WRONG)
def test_what_is_against_the_order_is_found(tmp_path, capsys, what):
    printed = lines(tmp_path, capsys, *WRONG[what])
    assert len(printed) == 1
    assert printed[0].startswith(WRONG[what][0] + ":")


@pytest.mark.parametrize("what", RIGHT)
def test_what_is_in_order_is_not(tmp_path, capsys, what):
    assert lines(tmp_path, capsys, *RIGHT[what]) == []


def test_a_folder_without_layers_is_not_good(tmp_path, capsys):
    assert layers.main(tmp_path) == 1
    assert "no layers" in capsys.readouterr().out
