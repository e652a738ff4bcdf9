"""Training metadata survives JSON, and knows the latest results of every stage."""

import json

import pytest

from genie_gym.world_model.metadata import DataUsed, FinetuneRecord, StageRecord, TrainingMetadata

METADATA = TrainingMetadata(
    preset="small",
    seed=3,
    data=(DataUsed(9, 900, 8), DataUsed(12, 1200, 11)),
    stages={
        "tokenizer": StageRecord(10, 1.5, {"psnr": 30.5, "codes": 12.0}),
        "dynamics": StageRecord(20, 2.5, {"accuracy": 0.5}),
    },
    finetuning=(
        FinetuneRecord(
            "random policy",
            (DataUsed(4, 400, 3),),
            new_share=0.5,
            stages={"decoder": StageRecord(2, 0.1, {"psnr": 31.5}), "dynamics": StageRecord(3, 0.2, {"accuracy": 0.6})},
            seed=4,
            software="genie_gym 1",
        ),
    ),
    software="genie_gym 0",
    upscaler="32 dB",
    commands=("genie-gym train Toy-Numpy",),
    notes="none",
)


@pytest.mark.parametrize("metadata", [METADATA, TrainingMetadata()])
def test_json_and_back(metadata):
    assert TrainingMetadata.from_dict(json.loads(json.dumps(metadata.to_dict()))) == metadata
    assert TrainingMetadata.from_dict({}) == TrainingMetadata()


def test_metrics_are_the_latest_of_each_stage():
    assert METADATA.metrics == {"tokenizer psnr": 31.5, "dynamics accuracy": 0.6}


@pytest.mark.parametrize("values", [{"finetuning": [{}]}, {"unknown": 1}, {"stages": 3}, {"data": [{"episodes": 1}]}])
def test_other_values_are_errors(values):
    with pytest.raises((TypeError, ValueError, AttributeError, KeyError)):
        TrainingMetadata.from_dict(values)
