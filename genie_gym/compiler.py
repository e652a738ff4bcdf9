"""What is said where torch's compiler fails."""

__all__ = ["ADVICE", "reason"]

ADVICE = "install a C++ compiler (apt install g++), or leave compile out"


def reason(error: Exception) -> str:
    """What went wrong, without torch's story about it; its first line may name the compiler alone."""
    lines = [line for line in str(error).splitlines() if line.strip() and not line.endswith("raised:")]
    return lines[0][:200] if lines else type(error).__name__
