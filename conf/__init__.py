"""The Hydra configuration groups of `mmsr-train`, installed as `mmsr_env.conf`."""
