"""`python -m assets.starter_recipe STAGE`: trains the bundled starter model again."""

import sys

from assets.starter_recipe.stages import main

if __name__ == "__main__":
    sys.exit(main())
