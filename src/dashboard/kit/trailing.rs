//! What stands at the right end of a line. It is made after what stands before it, so that the
//! keyboard goes through a line as one reads it, and its width is known from the frame before.

use egui::{Align, Id, Layout, Rect, Sense, Ui, UiBuilder, pos2};

/// The right end of a line that has been begun.
#[derive(Clone, Copy)]
pub(crate) struct Trailing {
    id: Id,
    width: f32,
}

impl Trailing {
    /// The end of the line that `ui` draws, told apart from others in it by `name`.
    pub(crate) fn of(ui: &Ui, name: &str) -> Self {
        let id = ui.scope_id().with(("trailing", name));
        Self { id, width: ui.data(|data| data.get_temp(id)).unwrap_or(0.0) }
    }

    /// How much of the line is left to what stands before it, points.
    pub(crate) fn room(self, ui: &Ui) -> f32 {
        (ui.available_width() - self.width - ui.spacing().item_spacing.x).max(0.0)
    }

    /// Draws it, from left to right.
    pub(crate) fn show<R>(self, ui: &mut Ui, add: impl FnOnce(&mut Ui) -> R) -> R {
        let free = ui.available_rect_before_wrap();
        let place = Rect::from_min_max(
            pos2((free.right() - self.width).max(free.left()), free.top()),
            free.max,
        );
        let layout = Layout::left_to_right(Align::Center);
        let mut end =
            ui.new_child(UiBuilder::new().max_rect(place).layout(layout).id_salt(self.id));
        let done = add(&mut end);
        let used = end.min_rect();
        self.remember(ui, used.width());
        ui.allocate_rect(used.intersect(free), Sense::hover());
        done
    }

    /// Draws it in a line of its own, where it has no room beside what stands before it.
    pub(crate) fn show_below<R>(self, ui: &mut Ui, add: impl FnOnce(&mut Ui) -> R) -> R {
        let line = ui.horizontal_wrapped(|ui| {
            let done = add(ui);
            (done, ui.min_rect().width())
        });
        let (done, width) = line.inner;
        self.remember(ui, width);
        done
    }

    fn remember(self, ui: &Ui, width: f32) {
        if (width - self.width).abs() > 0.5 {
            ui.data_mut(|data| data.insert_temp(self.id, width));
            ui.ctx().request_discard("the end of a line has another width");
        }
    }
}
