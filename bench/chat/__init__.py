"""The benchmark of chat: a large stored world, an open-loop generator, and the proof that nothing was lost."""
