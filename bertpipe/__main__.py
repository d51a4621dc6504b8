"""Run the command line as `python -m bertpipe`."""

from bertpipe.cli import main

if __name__ == "__main__":
    main(prog_name="bertpipe")
