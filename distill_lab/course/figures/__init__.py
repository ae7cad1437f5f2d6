"""What a lesson shows: SVG strings for pictures that move, matplotlib for those that stand."""
