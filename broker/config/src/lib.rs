//! Every configuration key once, and all that is derived of it.
