"""Table 6: how hard the play of explorers on several rewards is for the world model; harder data teach it more."""

from paper_tables import scores
from paper_tables.lab import RANDOM_SHARE, Lab
from paper_tables.models import FULL
from paper_tables.plays import basic_test
from paper_tables.table import PLATFORMERS, Claim, Rows, Table
from paper_tables.table4 import lineage, model
from paper_tables.table5 import refitted

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


def measure(lab: Lab, seed: int) -> dict[str, Rows]:
    """All rows of each game."""
    return {game: rows(lab, game, seed) for game in lab.games}


def rows(lab: Lab, game: str, seed: int) -> Rows:
    """Table 4's best model on the play of each explorer; AutoExplore's is the one that table 5 learned from."""
    base, scale = model(lab, FULL, seed), lab.scale
    plays = {"random play": basic_test(lab, game)}
    for name, reward in REWARDS.items():
        agent = lab.agent(game, reward, steps=scale.explore_steps, seed=seed)
        plays[name] = lab.play(
            game, f"{reward}-{seed}", frames=scale.frames, policy=agent, seed=seed, random_share=RANDOM_SHARE
        )
    plays["Ours"] = refitted(lab, game, "autoexplore", seed) / "round-1" / "data"
    folder = f"{game}/scores/explorers/{lineage(lab)}-{seed}"
    found = {name: lab.score(f"{folder}/{name.replace(' ', '-')}", base, data) for name, data in plays.items()}
    return {name: scores.single_pass(figures) for name, figures in found.items()} | {
        f"{name}, autoregressive": scores.autoregressive(figures) for name, figures in found.items()
    }


TABLE = Table(
    6,
    "Comparison of the AutoExplore agent with others",
    "Explorers are trained on the errors of random features (RF), of a VAE's features, and on the world model's "
    "uncertainty (ours); table 4's best model then predicts their recorded play. The lower its figures, the more it "
    "could learn from that play.",
    PLATFORMERS,
    PAPER,
    tuple(
        Claim("psnr", f"{other}{way}", f"Ours{way}")
        for way in ("", ", autoregressive")
        for other in ("random play", "RF", "VAE")
    ),
    measure,
)
