"""User studies of world models, as in the paper: how alike clips are, and which model carries out an action."""

from typing import TYPE_CHECKING

from genie_gym.utils.lazy import lazy_attributes

if TYPE_CHECKING:
    from genie_gym.studies.config import StudyConfig, StudyResultsConfig
    from genie_gym.studies.opening import open_study
    from genie_gym.studies.results import study_results

__all__ = ["StudyConfig", "StudyResultsConfig", "open_study", "study_results"]

# Loaded when first used: the configuration must not wait for torch.
__getattr__, __dir__ = lazy_attributes(
    __name__,
    {
        "StudyConfig": "genie_gym.studies.config:StudyConfig",
        "StudyResultsConfig": "genie_gym.studies.config:StudyResultsConfig",
        "open_study": "genie_gym.studies.opening:open_study",
        "study_results": "genie_gym.studies.results:study_results",
    },
)
