"""What happens to a face on its way into a picture, in steps that can be named: light, lens, covers, a wrong box."""
