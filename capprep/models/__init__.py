"""Adapters of the networks; torch, transformers, diffusers and onnxruntime live here."""
