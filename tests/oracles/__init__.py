"""What every mart must hold, worked out the slow and plain way, to hold the warehouse against.

Nothing here imports the engine: the definitions are read from the documents a second time and written
in Python integers, fractions and decimals, without a thought for speed. `oracle.marts_of` is the way in;
`worlds` draws small nasty inputs; `compare` reads a mart table and says how it differs.
"""
