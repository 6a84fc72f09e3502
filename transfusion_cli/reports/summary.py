"""What a person reads when a run ends."""

from transfusion_cli.reports.run_folder import RunFolder


def summary(folder: RunFolder, audit: str, table: str) -> str:
    """The closing words of a fit: results, what trained, where things lie, what to type next.

    Args:
        folder: the run folder.
        audit: what trained.
        table: metrics with intervals, or the empty string where no test was made.
    """
    run, checkpoints = folder.path, folder.checkpoints
    parts = [f"What trained\n{audit}"]
    if table:
        parts.insert(0, f"Test split, best checkpoint, 95 % intervals by bootstrap over patients\n{table}")
    parts.append(f"Run folder\n{run}/")
    parts.append(
        "Next\n"
        f"  curves   tensorboard --logdir {run.parent}\n"
        f"  test     transfusion test --ckpt_path {checkpoints / 'best.ckpt'}\n"
        f"  predict  transfusion predict --ckpt_path {checkpoints / 'delta.safetensors'}\n"
        f"  resume   transfusion fit --ckpt_path {checkpoints / 'last.ckpt'} --trainer.max_epochs MORE"
    )
    return "\n\n".join(parts)
