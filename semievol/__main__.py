"""`python -m semievol`: hands over to the command line."""

from semievol.cli import main

raise SystemExit(main())
