"""`python -m semievol.starter STAGE`: trains the bundled starter model again (the recipe is engines/starter)."""

import sys

from semievol.engines.starter.stages import main

if __name__ == "__main__":
    sys.exit(main())
