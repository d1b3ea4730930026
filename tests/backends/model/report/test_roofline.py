"""The roofline: operations and bytes by hand, peaks of the machine file, and what is not known said to be so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backends.model.report.facts import Facts
from backends.model.report.report import report_of
from backends.model.report.roofline import roofline
from backends.model.sm import TensorShape
from tests.backends.model.report.profiles import report
from twill.report.profile.text import profile_text


def test_a_product_in_single_precision():
    found = report("sgemm:square", sizes="M=256 N=128 K=64").roofline
    products, elements = 256 * 128 * 64, 256 * 128
    assert found.kind == "fp32"
    assert found.flops == 2 * products + 3 * elements, "alpha, and an FMA with beta"
    # GA102 at 1.8 GHz: 84 SMs of 128 lanes, two operations each.
    assert found.peak_gflop_per_s == pytest.approx(84 * 128 * 2 * 1.8)
    assert found.intensity_flop_per_byte == pytest.approx(found.flops / found.dram_bytes)
    assert found.achieved_gflop_per_s < (found.roof_gflop_per_s or 0.0)


def test_a_copy_has_bandwidth_alone():
    found = report("stream", sizes="N=16777216").roofline
    assert found.flops == 0 and found.dram_bytes == pytest.approx(2 * 8 * 16777216, rel=0.02)
    assert found.roof_share == pytest.approx(found.achieved_gbyte_per_s / 768)
    assert found.bound == "memory"


def test_tensor_cores_have_their_own_peak():
    found = report("gemm", "h100", "M=256 N=256 K=128").roofline
    assert found.kind == "tensor" and found.flops >= 2 * 256 * 256 * 128
    # H100 SXM, dense fp16: 989 TFLOP/s.
    assert found.peak_gflop_per_s == pytest.approx(989.4e3, rel=0.01)


def test_products_whose_size_only_descriptors_tell():
    """`tcgen05.mma` executed so often, of m128n256, as its shape is given."""
    modelled = report("gemm", "b200", "M=256 N=256 K=128").modelled
    code = modelled.work.function.instructions
    products = [i.index for i in code if i.opcode == "UTCHMMA"]
    assert products
    shapes = dict.fromkeys(products, TensorShape(128, 256))
    known = replace(modelled, work=replace(modelled.work, shapes=shapes))
    times = Facts(known).executions[products].sum()
    assert roofline(Facts(known)).flops == 2 * 128 * 256 * 16 * times
    assert roofline(Facts(known)).is_complete
    unknown = report_of(replace(modelled, work=replace(modelled.work, shapes={})))
    assert not unknown.roofline.is_complete
    assert unknown.metrics["sm__ops_path_tensor_src_fp16_dst_fp32.sum"] is None
    assert "matrix products of unknown size" in profile_text(unknown)
