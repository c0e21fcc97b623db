"""The forms of a convolution among which a GPU chooses, against the library's own, with gradients."""

import pytest
import torch
import torch.nn.functional as F

from trainables.scattering import convolution


@pytest.mark.parametrize("form", convolution.FORMS)
@pytest.mark.parametrize(("c", "o", "groups", "padding"), [(3, 27, 1, (2, 2)), (5, 9, 3, (1, 1)), (8, 16, 1, (0, 1))])
@pytest.mark.parametrize(("size", "taps"), [((11, 9), (5, 5)), ((8, 12), (4, 3)), ((10, 10), (8, 8))])
@pytest.mark.parametrize("needs_input_gradient", [False, True])
def test_each_form_is_the_librarys_convolution(form, c, o, groups, padding, size, taps, needs_input_gradient):
    torch.manual_seed(0)
    u = torch.randn(4, c * groups, *size, dtype=torch.float32, requires_grad=needs_input_gradient)
    weight = torch.randn(o * groups, c, *taps, requires_grad=True)
    learning = [part for part in (u, weight) if part.requires_grad]
    found = form(u, weight, padding, groups)
    expected = F.conv2d(u, weight, stride=2, padding=padding, groups=groups)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    grad = torch.randn_like(expected)
    for own, theirs in zip(*(torch.autograd.grad(y, learning, grad) for y in (found, expected)), strict=True):
        torch.testing.assert_close(own, theirs, rtol=1e-4, atol=1e-4)


def test_the_fastest_form_is_found_once_for_each_shape(monkeypatch):
    tried = []
    times = dict(zip(convolution.FORMS, (3.0, 2.0, 1.0, 4.0), strict=True))

    def timed(form, u, weight, shape):
        tried.append((form, shape.needs_gradients))
        if form is convolution.padded and len(u) == 7:
            raise torch.OutOfMemoryError
        return times[form]

    monkeypatch.setattr(convolution, "_milliseconds", timed)
    monkeypatch.setattr(convolution, "_chosen", {})
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    weight = torch.randn(6, 3, 5, 5, requires_grad=True)
    for images in (4, 4, 7):
        convolution.convolved(torch.randn(images, 3, 8, 8), weight, padding=(2, 2), groups=1)
    assert [form for form, _ in tried] == [*convolution.FORMS] * 2
    assert {needs for _, needs in tried} == {(False, True)}
    assert [*convolution._chosen.values()] == [convolution.padded, convolution.channels_last]


def test_while_a_graph_is_captured_or_kernels_are_to_be_deterministic_nothing_is_timed(monkeypatch):
    monkeypatch.setattr(convolution, "fastest", None)
    monkeypatch.setattr(convolution, "_chosen", {})
    u, weight = torch.randn(2, 3, 8, 8), torch.randn(6, 3, 5, 5)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    expected = F.conv2d(u, weight, stride=2, padding=2)
    assert torch.equal(convolution.convolved(u, weight, padding=(2, 2), groups=1), expected)
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: False)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    assert torch.equal(convolution.convolved(u, weight, padding=(2, 2), groups=1), expected)
