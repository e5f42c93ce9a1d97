/* For x86 processors with AVX2 and BMI2, which is those of the last ten years: half the time. */
#if defined(__x86_64__) && defined(__GNUC__)
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2,lzcnt"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,bmi,bmi2,lzcnt")
#endif
#define __AVX2__ 1
#include "decoder.h"
#include "interface.h"

int shrink_avx2(const jpeg_request *asked) { return (int)shrink(asked); }
#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
