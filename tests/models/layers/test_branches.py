"""What judges a voice, a face and the features of one, each by itself."""

import torch
from torch import nn

from mien.models.layers.branches import FaceBranch, FeatureBranch, VoiceBranch, mean_answer


def test_probabilities_are_averaged_not_logits() -> None:
    logits = torch.tensor([[[4.0, 0.0], [0.0, 9.0]]])
    expected = logits.softmax(2).mean(1)
    torch.testing.assert_close(mean_answer(logits).exp(), expected)
    assert not torch.allclose(mean_answer(logits).exp(), logits.mean(1).softmax(1))


def test_a_face_of_one_place_is_judged_like_its_features() -> None:
    torch.manual_seed(0)
    face, told = FaceBranch(nn.Identity(), nn.Identity(), 6, 3, 0.2).eval(), FeatureBranch(6, 3, 0.2).eval()
    told.load_state_dict(face.state_dict())
    features = torch.randn(2, 4, 6)
    torch.testing.assert_close(told(features), face(features[..., None, None]))
    torch.testing.assert_close(told(features).exp().sum(1), torch.ones(2))


def test_a_voice_is_judged_by_the_mean_of_its_map() -> None:
    torch.manual_seed(0)
    voice = VoiceBranch(nn.Identity(), nn.Identity(), 1, 3, 0.0).eval()
    maps = voice.forward_maps(torch.randn(2, 1, 4, 8))
    assert voice.forward_feature(maps).shape == (2, 1)
    torch.testing.assert_close(voice(maps.mean((2, 3))), voice.head(maps.mean((2, 3))).log_softmax(1))
