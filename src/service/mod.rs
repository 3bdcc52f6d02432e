//! gRPC, identity and limits.
