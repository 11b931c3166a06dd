"""Speech emotion recognition: what model, clip length, trained depth and cascades buy."""
