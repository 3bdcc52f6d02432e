//! The port to durable storage and its engines.
