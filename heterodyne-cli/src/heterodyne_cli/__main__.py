"""`python -m heterodyne_cli`: the program without its script."""

from heterodyne_cli.app import main

if __name__ == "__main__":
    main()
