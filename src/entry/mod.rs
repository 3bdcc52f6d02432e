//! Events, their parts, the header, the chain and genesis.
