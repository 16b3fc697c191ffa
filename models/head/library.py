"""LightGBM, loaded when the first head is learnt or used: it needs the system's libgomp."""

from types import ModuleType

from models.errors import HeadUnavailable


def load_library() -> ModuleType:
    """Returns the module lightgbm. Raises HeadUnavailable where it, or libgomp, cannot be loaded."""
    try:
        import lightgbm
    except (ImportError, OSError) as error:
        reason = str(error).partition("\n")[0]
        raise HeadUnavailable(
            f"LightGBM cannot be loaded ({reason}), which a head needs; install lightgbm and the system's "
            'libgomp (Debian: apt-get install libgomp1), or set head.kind = "none" and train again'
        ) from error
    return lightgbm
