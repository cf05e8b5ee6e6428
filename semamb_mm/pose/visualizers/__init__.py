from .latent_target_plots import contact_sheet, draw_targets, plot_moves

__all__ = ["contact_sheet", "draw_targets", "plot_moves"]
