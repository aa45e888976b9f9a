//! Randomness.

use uuid::Uuid;

/// Makes what must be unique or must not be guessed.
pub trait Ids: Send + Sync {
    /// A new version 7 UUID: unique, and later ones sort after earlier ones.
    fn uuid(&self) -> Uuid;

    /// 32 bytes from the system's secure generator.
    fn secret_bytes(&self) -> [u8; 32];
}
