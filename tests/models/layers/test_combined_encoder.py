import pytest
import torch

from mien.models.layers.combined_encoder import CombinedEncoder, HeadedAttention


def test_the_first_third_is_the_input_and_the_others_are_both_parts():
    torch.manual_seed(0)
    encoder, x = CombinedEncoder(12, 2, head_width=5, mlp_width=16).eval(), torch.randn(3, 4, 12)
    out, looks = encoder(x)
    assert out.shape == (3, 4, 36)
    assert encoder.width == 36
    assert torch.equal(out[..., :12], x)
    assert encoder.mha is not None
    assert encoder.trans is not None
    torch.testing.assert_close(out[..., 12:24], encoder.mha(x)[0])
    torch.testing.assert_close(out[..., 24:], encoder.trans(x)[0])
    torch.testing.assert_close(looks.sum(-1), torch.ones(3, 2, 4))


def test_without_an_output_projection_attention_is_its_bias():
    encoder = CombinedEncoder(12, 2, head_width=5, mlp_width=16).eval()
    torch.nn.init.zeros_(encoder.mha.proj.weight)
    middle = encoder(torch.randn(3, 4, 12))[0][..., 12:24]
    assert torch.equal(middle, encoder.mha.proj.bias.expand_as(middle))


@pytest.mark.parametrize("parts", ["only_trans", "only_att"])
def test_one_part_alone(parts):
    encoder = CombinedEncoder(12, 2, head_width=5, mlp_width=16, parts=parts)
    out, looks = encoder(torch.randn(3, 4, 12))
    assert (out.shape, looks.shape) == ((3, 4, 12), (3, 1, 4, 4))


def test_attention_is_that_of_torch():
    torch.manual_seed(0)
    ours, theirs = HeadedAttention(12, 3, 4, 0.0), torch.nn.MultiheadAttention(12, 3, batch_first=True)
    theirs.in_proj_weight.data.copy_(ours.qkv.weight)
    theirs.in_proj_bias.data.zero_()
    theirs.out_proj.load_state_dict(ours.proj.state_dict())
    x, seen = torch.randn(2, 5, 12), torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    found, expected = ours(x, seen), theirs(x, x, x, key_padding_mask=~seen)
    for own, other in zip(found, expected, strict=True):
        torch.testing.assert_close(own, other, rtol=1e-4, atol=1e-6)
