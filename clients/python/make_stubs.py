"""Makes the gRPC stubs from the contract in `proto/`: `python make_stubs.py [FOLDER]`, `build` beside it by default.

The folder goes on `PYTHONPATH`; the stubs are imported as `highwater.v1.*`. They are generated and never checked in.
"""

import sys
from pathlib import Path

from grpc_tools import protoc

HERE = Path(__file__).resolve().parent
PROTO = HERE.parent.parent / "proto"


def make_stubs(folder: Path = HERE / "build") -> Path:
    """Generates the stubs into `folder` and returns it. Raises RuntimeError when protoc refuses the protos."""
    folder.mkdir(parents=True, exist_ok=True)
    well_known = Path(protoc.__file__).parent / "_proto"
    protos = [str(path) for path in sorted(PROTO.glob("highwater/v1/*.proto"))]
    arguments = [f"-I{PROTO}", f"-I{well_known}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main(["protoc", *arguments, *protos]) != 0:
        raise RuntimeError(f"protoc refused the protos in {PROTO}")
    return folder


if __name__ == "__main__":
    print(make_stubs(Path(sys.argv[1]) if len(sys.argv) > 1 else HERE / "build"))
