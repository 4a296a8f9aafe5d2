//! lifecycle
/// thin
#[derive(Debug, Default)]
pub struct Lifecycle;
impl Lifecycle {
    /// new
    pub fn new() -> Self {
        Self
    }
    /// observe
    pub fn observe(&mut self, _event: &mut crate::event::Event) {}
}
