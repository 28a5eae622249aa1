// The inner loop of Finiteness.swift, compiled once for each kind of vector that a processor may have.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Adds `lowest_exponent_bits` to the masked bits of each of `count` 64-bit words and ORs the sums.
/// `words` need not be aligned.
uint64_t finiteness_carries(
    const void *words, size_t count, uint64_t exponent_mask, uint64_t lowest_exponent_bits);
