"""Child processes: their parent, slots, identities, and isolated workers."""
