"""The ONNX forms of a network: conversion, the 8-bit form, and how they are called."""
