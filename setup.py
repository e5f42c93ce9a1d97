"""Builds the shrinking decoder (img2dataset/imaging/native), a plain shared library that ctypes loads.

It needs a C compiler and nothing of Python's headers; where there is no compiler the package is installed
without it and JPEGs take the slower way through OpenCV.
"""

from __future__ import annotations

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

FOLDER = "img2dataset/imaging/native"


class BuildLibrary(build_ext):
    """One library for every version of Python: its name says none."""

    def get_ext_filename(self, fullname: str) -> str:
        """Where the library goes, without the version that extension modules carry."""
        return fullname.replace(".", "/") + ".so"

    def get_export_symbols(self, ext: Extension) -> list[str]:
        """No module's start is looked for: it is no module."""
        return []


class Wheel(bdist_wheel):
    """For any Python on one kind of machine."""

    def get_tag(self) -> tuple[str, str, str]:
        """Tags of the wheel's name."""
        return "py3", "none", super().get_tag()[2]


setup(
    ext_modules=[
        Extension(
            "img2dataset.imaging.native.libshrink",
            sources=[f"{FOLDER}/{name}.c" for name in ("shrink", "any", "avx2")],
            depends=["setup.py"],
            extra_compile_args=["-O3", "-std=gnu11", "-fvisibility=hidden", "-Wno-psabi"],
            libraries=["m"],
            optional=True,
        )
    ],
    cmdclass={"build_ext": BuildLibrary, "bdist_wheel": Wheel},
)
