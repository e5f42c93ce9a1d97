"""Builds the shrinking decoder (img2dataset/imaging/native), a plain shared library that ctypes loads.

It needs a C compiler (building/compilers.py finds one) and nothing of Python's headers. Where it cannot be
built the package is installed without it, and JPEGs take the slower way through OpenCV.
"""

from __future__ import annotations

import os
import platform
import tempfile
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build import build
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError, CCompilerError

from building.compilers import other_compiler, usual_compiler, without_library, zig

FOLDER = "img2dataset/imaging/native"
SCRATCH = tempfile.TemporaryDirectory(prefix="img2dataset-build-")


PARTS = ("bits", "blocks", "decoder", "huffman", "markers", "memory", "png", "shrink", "taps")
AVX2 = ("-mavx2", "-mfma", "-mbmi", "-mbmi2", "-mlzcnt")


class Build(build):
    """Anew each time: what an earlier version left in build/ is not packed again."""

    def initialize_options(self) -> None:
        """Build in a folder that is gone afterwards."""
        super().initialize_options()
        self.build_base = SCRATCH.name


class BuildLibrary(build_ext):
    """One library for every version of Python: its name says none."""

    def build_extension(self, ext: Extension) -> None:
        """Build the library, or say in one line that it is left out."""
        try:
            self._take_a_compiler()
            if platform.machine() in ("x86_64", "amd64"):
                # The same once more, for processors with AVX2.
                ext.define_macros = [("WITH_AVX2", "1")]
                ext.extra_objects = self.compiler.compile(
                    [f"{FOLDER}/decoder.c"],
                    output_dir=f"{self.build_temp}/avx2",
                    macros=[("SHRINK", "shrink_avx2")],
                    extra_postargs=[*ext.extra_compile_args, *AVX2],
                )
            super().build_extension(ext)
        except (CCompilerError, BaseError, OSError) as error:
            self.warn(f"img2dataset is built without its C library, and will take longer: {error}")

    def _take_a_compiler(self) -> None:
        if usual_compiler():
            return
        compiler = other_compiler() or zig()
        if compiler is None:
            raise CCompilerError("there is no C compiler; install one and build again")
        # zig compiles parts of the C library too, and keeps them: not in the user's home.
        os.environ["ZIG_GLOBAL_CACHE_DIR"] = os.environ["ZIG_LOCAL_CACHE_DIR"] = f"{SCRATCH.name}/zig"
        self.compiler.set_executables(compiler_so=[*compiler, "-fPIC"], linker_so=[*compiler, "-shared"])

    def get_ext_filename(self, fullname: str) -> str:
        """Where the library goes, without the version that extension modules carry."""
        return fullname.replace(".", "/") + ".so"


class Wheel(bdist_wheel):
    """For any Python on one kind of machine."""

    def get_tag(self) -> tuple[str, str, str]:
        """Tags of the wheel's name."""
        return "py3", "none", super().get_tag()[2]


LIBRARY = Extension(
    "img2dataset.imaging.native.libshrink",
    sources=[f"{FOLDER}/{name}.c" for name in PARTS],
    depends=["setup.py", *sorted(str(path) for path in Path(FOLDER).glob("*.h"))],
    # Products are rounded before they are added, so that pixels are the same on every processor.
    extra_compile_args=["-O3", "-g0", "-std=gnu11", "-ffp-contract=off", "-fvisibility=hidden", "-Wno-psabi"],
    libraries=["m"],
    optional=True,
)

setup(
    ext_modules=[] if without_library() else [LIBRARY],
    cmdclass={"build": Build, "build_ext": BuildLibrary, "bdist_wheel": Wheel},
)
