"""What commands do first."""

import torch
import typer

from vidtwin.modeling_vidtwin.model_folder import find_model
from vidtwin.options import choose, set_up


def test_a_seed_is_set_and_remarks_are_silent_if_asked(capsys):
    assert set_up(7, quiet=False) is typer.echo
    first = torch.rand(1)
    set_up(7, quiet=True)("remark")
    assert torch.equal(first, torch.rand(1)) and capsys.readouterr().out == ""


def test_the_choice_of_device_and_dtype_is_told():
    said = []
    assert choose(find_model("demo"), "cpu", "float16", said.append) == (torch.device("cpu"), torch.float16)
    assert said == ["model demo on cpu in float16 (as asked)"]
