"""`python -m assets.starter.recipe STAGE`: trains the bundled starter model again."""

import sys

from assets.starter.recipe.stages import main

if __name__ == "__main__":
    sys.exit(main())
