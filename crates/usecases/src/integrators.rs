//! The integrators that are built in.

use std::sync::Arc;

use domain::IntegratorName;
use ports::Integrator;

/// The built-in integrators, by name.
#[derive(Clone)]
pub struct Integrators(Arc<[Arc<dyn Integrator>]>);

impl Integrators {
    /// Creates the list.
    #[must_use]
    pub fn new(integrators: Vec<Arc<dyn Integrator>>) -> Self {
        Self(integrators.into())
    }

    /// Returns the integrator of a name.
    #[must_use]
    pub fn find(&self, name: &IntegratorName) -> Option<&Arc<dyn Integrator>> {
        self.iter().find(|integrator| integrator.name() == name)
    }

    /// Returns their names, separated by commas.
    #[must_use]
    pub fn names(&self) -> String {
        let names: Vec<_> = self.iter().map(|each| each.name().as_str()).collect();
        names.join(", ")
    }

    /// Iterates over all integrators.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Integrator>> {
        self.0.iter()
    }
}
