"""What a mistake does to a figure: each function is one figure, named by its docstring.

Run on the clean package and on a mutated one; imports stay inside, so that the copy is measured.
"""

import math

import torch

from tests.losses.draw import normal


def pair(*shape: int, scale: float = 2.0) -> tuple[torch.Tensor, torch.Tensor]:
    return normal(*shape, seed=1, scale=scale), normal(*shape, seed=2, scale=scale)


def ragged() -> torch.Tensor:
    """Two sequences of four tokens, one of them a single token long."""
    return torch.tensor([[True] * 4, [True, False, False, False]])


def kd_at_4() -> float:
    """kd_loss of 8 random rows of 10 logits at T = 4, alpha = 1"""
    from distill_lab.losses import kd_loss

    return kd_loss(*pair(8, 10), T=4.0, alpha=1.0).item()


def kd_with_labels() -> float:
    """kd_loss of 8 rows of 10 logits with labels, T = 4, alpha = 0.9"""
    from distill_lab.losses import kd_loss

    return kd_loss(*pair(8, 10), torch.arange(8), T=4.0, alpha=0.9).item()


def masked_kl() -> float:
    """forward KL of 8 tokens of which 5 are real"""
    from distill_lab.losses import forward_kl

    z_s, z_t = pair(2, 4, 10)
    return forward_kl(z_s, z_t, mask=ragged()).item()


ragged_kl = masked_kl


def masked_cross_entropy() -> float:
    """cross-entropy of 8 tokens of which 5 are real"""
    from distill_lab.losses import cross_entropy

    z, _ = pair(2, 4, 10)
    return cross_entropy(z, torch.zeros(2, 4, dtype=torch.long), mask=ragged()).item()


def forward_kl_of_a_coin() -> float:
    """forward KL, teacher (0.9, 0.1), student (0.5, 0.5)"""
    from distill_lab.losses import forward_kl

    p, q = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.5, 0.5]]).log()
    return forward_kl(q, p).item()


def forward_kl_of_equals() -> float:
    """forward KL of a model to itself"""
    from distill_lab.losses import forward_kl

    z, _ = pair(8, 10)
    return forward_kl(z, z.clone()).item()


def forward_kl_far_away() -> float:
    """forward KL of a student 500 logits away from the teacher"""
    from distill_lab.losses import forward_kl

    return forward_kl(torch.tensor([[500.0, 0.0]]), torch.tensor([[0.0, 0.0]])).item()


def dkd_of_a_confident_student() -> float:
    """DKD of a student 200 logits sure at T = 1"""
    from distill_lab.losses import dkd_loss

    z_s, z_t = torch.tensor([[200.0, 0.0, 0.0]]), torch.tensor([[0.0, 1.0, 2.0]])
    return dkd_loss(z_s, z_t, torch.tensor([0]), T=1.0).item()


def jsd_of_strangers() -> float:
    """JSD of two models that share no class; at most ln 2 = 0.6931"""
    from distill_lab.losses import jsd

    return jsd(torch.tensor([[0.0, 30.0]]), torch.tensor([[30.0, 0.0]])).item()


def jsd_at_a_tenth() -> float:
    """JSD with beta = 0.1"""
    from distill_lab.losses import jsd

    return jsd(*pair(8, 10), beta=0.1).item()


def jsd_of_sequences() -> float:
    """JSD of 3 sequences of 4 tokens, no mask"""
    from distill_lab.losses import jsd

    return jsd(*pair(3, 4, 10)).item()


def family_at_one() -> float:
    """the generalised JSD at beta = 1, which is the reverse KL"""
    from distill_lab.losses import generalised_jsd

    return generalised_jsd(*pair(8, 10), beta=1.0).item()


def kl_in_bfloat16() -> float:
    """JSD of two close models over 4,096 classes, logits in bfloat16"""
    from distill_lab.losses import jsd

    z_s, z_t = (z.bfloat16() for z in pair(16, 4096, scale=0.5))
    return jsd(z_s, z_t).item()


def standardised_pair() -> float:
    """forward KL at T = 2 of standardised logits"""
    from distill_lab.losses import forward_kl, standardize_logits

    return forward_kl(*(standardize_logits(z) for z in pair(8, 10)), T=2.0).item()


def topk_of_equals() -> float:
    """KL of a student that gives its teacher's top 2 half their mass"""
    from distill_lab.losses import topk_kl

    log_p, ids = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log().topk(2)
    return topk_kl(torch.tensor([[0.25, 0.15, 0.5, 0.1]]).log(), ids, log_p).item()


def perfect_next_token_table() -> float:
    """cross-entropy of a perfect next-token table on 0, 1, 2 and so on"""
    from distill_lab.losses import cross_entropy, shift_for_next_token

    tokens = torch.arange(6)[None]
    table = torch.full((7, 7), -50.0)
    table[torch.arange(6), torch.arange(1, 7)] = 50.0
    shifted = shift_for_next_token(table[tokens], tokens)
    return cross_entropy(shifted.student_logits, shifted.labels).item()


def equal_models_on_an_answer() -> float:
    """forward KL of a model to itself on an answer behind a prompt"""
    from distill_lab.losses import forward_kl, shift_for_next_token

    z, _ = pair(1, 5, 10)
    shifted = shift_for_next_token(z, torch.tensor([[-100, -100, 3, 4, 5]]), z)
    assert shifted.teacher_logits is not None
    return forward_kl(shifted.student_logits, shifted.teacher_logits, mask=shifted.mask).item()


def tokens_of_two_answers() -> float:
    """answer tokens counted in prompts of 1 and 3 tokens, answers of 3 and 1"""
    from distill_lab.losses import shift_for_next_token

    labels = torch.tensor([[-100, 3, 4, 5], [-100, -100, -100, 6]])
    return float(shift_for_next_token(torch.zeros(2, 4, 9), labels).mask.sum())


def skew_kl_of_equals() -> float:
    """skew KL of a model to itself"""
    from distill_lab.losses import skew_kl

    z, _ = pair(8, 10)
    return skew_kl(z, z.clone()).item()


def skew_kl_of_strangers() -> float:
    """skew KL, alpha = 0.1, of two models that share no class; ln 10 = 2.303"""
    from distill_lab.losses import skew_kl

    return skew_kl(torch.tensor([[0.0, 500.0]]), torch.tensor([[500.0, 0.0]])).item()


def total_variation_of_strangers() -> float:
    """total variation of two models that share no class"""
    from distill_lab.losses import total_variation

    return total_variation(torch.tensor([[0.0, 99.0]]), torch.tensor([[99.0, 0.0]])).item()


def uld_of_a_larger_vocabulary() -> float:
    """ULD of two equal distributions, one with two more impossible classes"""
    from distill_lab.losses import uld_loss

    p = torch.tensor([[0.7, 0.2, 0.1]]).log()
    return uld_loss(p, torch.cat((p, torch.full((1, 2), -1e9)), -1)).item()


def dist_of_a_pair() -> float:
    """DIST of 8 random rows of 10 logits"""
    from distill_lab.losses import dist_loss

    return dist_loss(*pair(8, 10)).item()


def average_of_a_short_answer() -> float:
    """mean log-probability of one token in a padded row, uniform over 8 classes; -ln 8 = -2.079"""
    from distill_lab.losses import sequence_log_probability

    labels = torch.tensor([[-100, 1, -100, -100]])
    return sequence_log_probability(torch.zeros(1, 4, 8), labels, average=True).item()


def dpo_at_the_start() -> float:
    """DPO where the student is its reference; ln 2 = 0.6931"""
    from distill_lab.losses import dpo_loss

    chosen, rejected = torch.tensor([-9.0]), torch.tensor([-30.0])
    return dpo_loss(chosen, rejected, chosen, rejected).item()


def vid_of_a_shrug() -> float:
    """VID of a predictor that claims a variance of 1,000 everywhere"""
    from distill_lab.losses import vid_loss

    s, t = pair(4, 6)
    return vid_loss(s, t, lambda f: (f, torch.full((6,), 1e3))).item()


def gradient_beside_a_duplicate() -> float:
    """RKD's angle loss, largest gradient, with one row there twice"""
    from distill_lab.losses import rkd_angle_loss

    s, t = normal(6, 4), normal(6, 4, seed=1)
    s[1] = s[0]
    s.requires_grad_()
    rkd_angle_loss(s, t).backward()
    assert s.grad is not None
    return s.grad.abs().max().item()


def numbers_in_nst() -> float:
    """numbers in the largest tensor that NST makes, 24 and 48 channels of 12 x 12, 2 examples"""
    from distill_lab.losses import nst_loss
    from tests.losses.test_feature import Largest

    with Largest() as seen:
        nst_loss(normal(2, 24, 12, 12), normal(2, 48, 12, 12, seed=1))
    return float(seen.numbers)


def attention_transfer() -> float:
    """attention transfer of 4 random maps of 6 x 6"""
    from distill_lab.losses import attention_transfer_loss

    return attention_transfer_loss(*pair(4, 8, 6, 6)).item()


def padded_attention() -> float:
    """TinyBERT's attention loss, 3 real tokens of 8"""
    from distill_lab.losses import tinybert_attention_loss

    s, t = pair(1, 2, 8, 8)
    return tinybert_attention_loss(s, t, mask=torch.arange(8)[None] < 3).item()


def padded_relations() -> float:
    """MiniLMv2, 3 real tokens of 8"""
    from distill_lab.losses import minilm_relation_loss

    s, t = ([normal(1, 8, 6, seed=i + j, scale=2.0) for i in range(3)] for j in (0, 3))
    mask = torch.arange(8)[None] < 3
    return minilm_relation_loss(s, t, relation_heads=2, mask=mask).item()


def similarity_of_rows() -> float:
    """similarity preserving loss of 6 random rows"""
    from distill_lab.losses import similarity_preserving_loss

    return similarity_preserving_loss(*pair(6, 8)).item()


def distance_loss_far_away() -> float:
    """RKD's distance loss of 8 rows to themselves, both moved by 10,000"""
    from distill_lab.losses import rkd_distance_loss

    f = normal(8, 16) + 10_000
    return rkd_distance_loss(f, f.double() - 10_000).item()


def pkt_of_rows() -> float:
    """PKT of 6 random rows"""
    from distill_lab.losses import pkt_loss

    return pkt_loss(*pair(6, 8)).item()


def pkt_with_a_masked_row() -> float:
    """PKT of 6 random rows of which one is masked"""
    from distill_lab.losses import pkt_loss

    return pkt_loss(*pair(6, 8), mask=torch.arange(6) > 0).item()


def crd_in_the_batch() -> float:
    """CRD of 8 random rows against the others of the batch"""
    from distill_lab.losses import crd_loss

    return crd_loss(*pair(8, 6), T=0.5).item()


def reported_kl_of_a_coin() -> float:
    """the report's KL to the teacher, teacher (0.9, 0.1), student (0.5, 0.5)"""
    from distill_lab.evaluation import kl_to_teacher

    p, q = torch.tensor([[0.9, 0.1]]).log(), torch.tensor([[0.5, 0.5]]).log()
    return float(kl_to_teacher(q, p))


def ece_of_two_bins() -> float:
    """ECE in points: 90 examples 95 % sure, 86 of them right; 10 examples 55 % sure, none right"""
    from distill_lab.evaluation import ece

    sure, torn = math.log(0.95 / 0.05), math.log(0.55 / 0.45)
    logits = torch.tensor([[0.0, sure]] * 90 + [[0.0, torn]] * 10, dtype=torch.float64)
    return float(ece(logits, torch.tensor([1] * 86 + [0] * 14)))


def half_width_of_five_seeds() -> float:
    """half the width of a 95 % interval over five seeds with a deviation of 1"""
    from distill_lab.evaluation.statistics import mean_interval

    interval = mean_interval([-1.2649, -0.6325, 0.0, 0.6325, 1.2649])
    return interval.high - interval.mean


def half_width_of_overlapping_splits() -> float:
    """half the width for five re-drawn splits of 1,000 and 797 examples, deviation 1"""
    from distill_lab.evaluation.statistics import nadeau_bengio_interval

    seeds = [-1.2649, -0.6325, 0.0, 0.6325, 1.2649]
    interval = nadeau_bengio_interval(seeds, 0, n_train=1000, n_test=797)
    return interval.high - interval.mean


def sign_test_with_ties() -> float:
    """p of the sign test: 6 wins, no loss, 4 ties"""
    from distill_lab.evaluation.statistics import sign_test

    return sign_test([1.0] * 6 + [0.0] * 4, 0)


def student_that_lacks_two_classes() -> float:
    """chunked forward KL of a model to itself, with two classes missing on the student's side"""
    from distill_lab.losses import chunked_forward_kl

    z, _ = pair(8, 6, scale=0.5)
    gone = torch.full((8, 2), -1e9)
    return chunked_forward_kl(z, torch.cat((z, gone), -1)).item()


def chunked_jsd_in_bfloat16() -> float:
    """chunked JSD of two close models over 4,096 classes, logits in bfloat16"""
    from distill_lab.losses import chunked_jsd

    z_s, z_t = (z.bfloat16() for z in pair(16, 4096, scale=0.5))
    return chunked_jsd(z_s, z_t).item()


def signal_at_another_temperature() -> float:
    """KL of a teacher to itself, its top 3 recorded at T = 4 and scored at T = 1"""
    from distill_lab.methods import divergence
    from distill_lab.signals import top_k

    z, _ = pair(8, 10)
    return divergence(z, top_k(z, 3, T=4.0), T=1.0).item()


def ensemble_of_two_sure_members() -> float:
    """probability of the first of three classes, one member sure of it, one of the second"""
    from distill_lab.data.batches import Batch
    from distill_lab.teachers import Ensemble

    sure = torch.tensor([[20.0, 0.0, 0.0]])
    members = [lambda batch: sure, lambda batch: sure.roll(1, -1) / 4]
    ensemble_logits = Ensemble(members)(Batch(sure, None, torch.zeros(1, dtype=torch.long)))
    assert isinstance(ensemble_logits, torch.Tensor)
    return ensemble_logits.softmax(-1)[0, 0].item()


def share_of_an_idle_term() -> float:
    """share of the gradient of a term that weighs 0.001 beside one that weighs 1"""
    from distill_lab.training.gradients import grad_norm_shares

    w = torch.ones(4, requires_grad=True)
    terms = {"idle": w.sum(), "other": w.square().sum() / 2}
    return grad_norm_shares(terms, {"idle": 1e-3, "other": 1.0}, [w])["idle"]
