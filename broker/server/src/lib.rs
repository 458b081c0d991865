//! Listeners, connections and one handler an API.
