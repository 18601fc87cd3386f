"""The procedural world: rendered rooms and streets with exact depth, labels and intrinsics.

`scene` says what a scene is, `builder` makes its geometry, `palette` its materials, `people` its people. `indoor` and
`street` are the grammars, one recipe per category, and `walk` joins the two. `render` traces rays and photographs
what they bring; `synth` writes data sets.
"""
