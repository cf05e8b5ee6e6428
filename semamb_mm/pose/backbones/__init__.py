from .slim_hourglass import SlimHourglassNet

__all__ = ["SlimHourglassNet"]
