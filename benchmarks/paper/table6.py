"""Table 6: how hard the episodes of explorers on several rewards are for the world model; harder ones teach it more."""

from benchmarks.paper import scores
from benchmarks.paper.datasets import basic_test
from benchmarks.paper.experiment import EPSILON, PaperExperiment
from benchmarks.paper.models import FULL
from benchmarks.paper.table import PLATFORMERS, Claim, Rows, Table
from benchmarks.paper.table4 import lineage, model
from benchmarks.paper.table5 import refitted

__all__ = ["TABLE"]

REWARDS = {"RF": "random_features", "VAE": "vae_features"}
PAPER: dict[str, Rows] = {
    "SuperMarioBros-Nes": {
        "RF": {"psnr": 28.58, "ssim": 0.94, "delta_psnr": 0.181},
        "VAE": {"psnr": 24.40, "ssim": 0.86, "delta_psnr": 0.087},
        "Ours": {"psnr": 23.81, "ssim": 0.85, "delta_psnr": 0.065},
    },
    "AdventureIslandII-Nes": {
        "RF": {"psnr": 24.82, "ssim": 0.78, "delta_psnr": 0.44},
        "VAE": {"psnr": 16.57, "ssim": 0.5, "delta_psnr": 0.072},
        "Ours": {"psnr": 15.20, "ssim": 0.41, "delta_psnr": 0.070},
    },
}


def measure(experiment: PaperExperiment, seed: int) -> dict[str, Rows]:
    """Return all rows of each game."""
    return {game: rows_of(experiment, game, seed) for game in experiment.games}


def rows_of(experiment: PaperExperiment, game: str, seed: int) -> Rows:
    """Return the rows of table 4's best model on episodes of each explorer; AutoExplore's are those of table 5."""
    base, scale = model(experiment, FULL, seed), experiment.scale
    datasets = {"random episodes": basic_test(experiment, game)}
    for name, reward in REWARDS.items():
        agent = experiment.agent(game, reward, steps=scale.explore_steps, seed=seed)
        datasets[name] = experiment.dataset(
            game, f"{reward}-{seed}", frames=scale.frames, policy=agent, seed=seed, epsilon=EPSILON
        )
    datasets["Ours"] = refitted(experiment, game, "autoexplore", seed) / "data"
    folder = f"{game}/scores/explorers/{lineage(experiment)}-{seed}"
    figures = {
        name: experiment.score(f"{folder}/{name.replace(' ', '-')}", base, data) for name, data in datasets.items()
    }
    return {name: scores.single_pass(one) for name, one in figures.items()} | {
        f"{name}, autoregressive": scores.autoregressive(one) for name, one in figures.items()
    }


TABLE = Table(
    6,
    "Comparison of the AutoExplore agent with others",
    "Explorers are trained on the errors of random features (RF), of a VAE's features, and on the world model's "
    "uncertainty (ours); table 4's best model then predicts their recorded episodes. The lower its figures, the more "
    "it could learn from these.",
    PLATFORMERS,
    PAPER,
    tuple(
        Claim("psnr", f"{other}{way}", f"Ours{way}")
        for way in ("", ", autoregressive")
        for other in ("random episodes", "RF", "VAE")
    ),
    measure,
)
