"""Dataset preparation, captioning and training for Stable Diffusion hypernetworks."""

__version__ = "0.1.0"
