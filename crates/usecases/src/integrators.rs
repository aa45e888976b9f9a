//! The integrators this program speaks with.

use std::sync::Arc;

use domain::IntegratorName;
use ports::Integrator;

/// The integrators this program speaks with, by name.
#[derive(Clone)]
pub struct Integrators(Arc<[Arc<dyn Integrator>]>);

impl Integrators {
    /// Takes the integrators that were built in.
    #[must_use]
    pub fn new(integrators: Vec<Arc<dyn Integrator>>) -> Self {
        Self(integrators.into())
    }

    /// The integrator of a name.
    #[must_use]
    pub fn find(&self, name: &IntegratorName) -> Option<&Arc<dyn Integrator>> {
        self.iter().find(|integrator| integrator.name() == name)
    }

    /// Their names, separated by commas.
    #[must_use]
    pub fn names(&self) -> String {
        let names: Vec<_> = self.iter().map(|each| each.name().as_str()).collect();
        names.join(", ")
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Integrator>> {
        self.0.iter()
    }
}
