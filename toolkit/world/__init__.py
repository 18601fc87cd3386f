"""The procedural world: rendered rooms and streets with exact depth, labels and intrinsics.

`scene` holds what a scene is, `builder` makes its geometry, `indoor` and `street` (and `walk`, which joins
them) are the grammars, `views` places cameras, `render` traces rays, `sensor` makes a photograph of radiance,
`synth` writes data sets.
"""
